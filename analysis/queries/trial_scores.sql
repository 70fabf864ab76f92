-- The score of each trial of a study's task, by which of its evaluations count: the best of all,
-- the best of those at the end of an epoch, or the last.
with epoch_ends as (
    select study, task, trial_id, max(score) as score
    from evaluations
    join trials using (study, task, trial_id)
    where study = $study and task = $task
      and step > 0 and step % steps_per_epoch = 0
      and not isnan(score)
    group by all
)
select
    trial_id, wi_seed, do_seed, dropout_seed, status, metric,
    best_score as best, epoch_ends.score as epoch_end, last_score as last
from trials
left join epoch_ends using (study, task, trial_id)
where study = $study and task = $task
order by wi_seed, do_seed, dropout_seed, trial_id
