// Says beside the pointer what the mark under it is. Without this, browsers show it as a tooltip.
(() => {
  const near = [[0, 0], [3, 0], [-3, 0], [0, 3], [0, -3], [3, 3], [-3, -3], [3, -3], [-3, 3]];
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  let lit = null;

  for (const title of document.querySelectorAll(".drawing title")) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }

  function markAt(x, y) {
    for (const [right, down] of near) {
      const mark = document.elementFromPoint(x + right, y + down)?.closest("[data-tip]");
      if (mark) return mark;
    }
    return null;
  }

  function light(mark) {
    if (mark === lit) return;
    lit?.classList.remove("lit");
    mark?.classList.add("lit");
    lit = mark;
  }

  function show(event) {
    const mark = markAt(event.clientX, event.clientY);
    light(mark);
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.dataset.tip;
    const { width, height } = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, innerWidth - width - 8);
    const above = event.clientY - height - 12;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above > 8 ? above : event.clientY + 18}px`;
  }

  function hide() {
    light(null);
    tip.hidden = true;
  }

  for (const drawing of document.querySelectorAll(".drawing")) {
    if (!drawing.querySelector("[data-tip]")) continue;
    drawing.addEventListener("pointermove", show);
    drawing.addEventListener("pointerdown", show);
    drawing.addEventListener("pointerleave", hide);
  }
  addEventListener("scroll", hide, { passive: true });
})();
