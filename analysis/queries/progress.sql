-- The score at each evaluation of the complete trials of a study's task, with the step it was made
-- after (Section 5).
select
    trial_id, wi_seed, do_seed, dropout_seed, status, metric, total_steps,
    evaluations.step as step, evaluations.epoch as epoch, evaluations.score as score
from trials
left join evaluations using (study, task, trial_id)
where study = $study and task = $task and status in ('finished', 'diverged')
order by wi_seed, do_seed, dropout_seed, trial_id, step
