-- The score at each evaluation of the complete trials of a study's task (Fig. 4).
select
    trial_id, wi_seed, do_seed, dropout_seed, status,
    evaluations.epoch as epoch, evaluations.score as score
from evaluations
join trials using (study, task, trial_id)
where study = $study and task = $task and status in ('finished', 'diverged')
order by wi_seed, do_seed, dropout_seed, trial_id, step
