-- The best complete trial of each task of a study: of equal ones, that which got there first.
select
    task, metric, trial_id, wi_seed, do_seed, dropout_seed,
    best_score as score, best_step as step, best_step / steps_per_epoch as epoch, total_steps
from trials
where study = $study and status in ('finished', 'diverged') and isfinite(best_score)
qualify row_number() over (
    partition by task order by best_score desc, best_step, wi_seed, do_seed, trial_id
) = 1
order by task
