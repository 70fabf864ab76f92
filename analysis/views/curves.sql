-- The scores of every trial over the epochs at which any trial of its study and task was evaluated:
-- at each of them what its last evaluation so far had found, from its first evaluation to its last.
with axis as (
    select distinct study, task, epoch from evaluations where epoch is not null
),
ends as (
    select study, task, trial_id, max(epoch) as last_epoch from evaluations group by all
),
points as (
    select study, task, trial_id, epoch
    from ends join axis using (study, task)
    where epoch <= last_epoch
)
select
    study, task, trial_id, wi_seed, do_seed, dropout_seed, status,
    points.epoch, evaluations.step, score, evaluations.best_score, loss
from points
asof join evaluations using (study, task, trial_id, epoch)
join trials using (study, task, trial_id)
