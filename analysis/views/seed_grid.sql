-- WI × DO: a row per weight-initialisation seed, a column per data-order seed, and in them the best
-- score of the trial that trained to its end; the mean where several dropout seeds were run.
pivot (
    select study, task, wi_seed, 'do_' || do_seed as do_seed, best_score
    from trials
    where status in ('finished', 'diverged') and isfinite(best_score)
)
on do_seed in ($columns)
using avg(best_score)
group by study, task, wi_seed
order by study, task, wi_seed
