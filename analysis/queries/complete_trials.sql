-- The trials of a study that trained to their end, with their scores: the best over all evaluations.
select task, wi_seed, do_seed, dropout_seed, best_score, trial_id
from trials
where study = $study and status in ('finished', 'diverged') and isfinite(best_score)
order by all
