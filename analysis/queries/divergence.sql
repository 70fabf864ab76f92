-- When the complete trials of a study's task fell to a level for good, as $level, and whether their
-- loss was ever not finite. `epoch` is that of the first evaluation from which on no score was above
-- the level, null where the last one was; `nonfinite_epoch` that of the first such training step.
with own as (
    select trial_id, best_score
    from trials
    where study = $study and task = $task and status in ('finished', 'diverged')
      and isfinite(best_score)
), above as (
    select trial_id, max(step) as step
    from evaluations
    where study = $study and task = $task and score > $level and isfinite(score)
    group by trial_id
), fallen as (
    select trial_id, min(epoch) as epoch
    from evaluations
    left join above using (trial_id)
    where study = $study and task = $task and evaluations.step > coalesce(above.step, -1)
    group by trial_id
), nonfinite as (
    select trial_id, min(epoch) as epoch
    from train_steps
    where study = $study and task = $task and not isfinite(loss)
    group by trial_id
)
select trial_id, fallen.epoch as epoch, nonfinite.epoch as nonfinite_epoch
from own
left join fallen using (trial_id)
left join nonfinite using (trial_id)
order by trial_id
