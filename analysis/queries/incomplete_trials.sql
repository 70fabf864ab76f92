-- The trials of a study that have no score to compare with the others', and why.
select task, wi_seed, do_seed, dropout_seed, status, error, trial_id
from trials
where study = $study
  and (status not in ('finished', 'diverged') or best_score is null or not isfinite(best_score))
order by all
