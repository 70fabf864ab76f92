-- The best score of every trial, with the evaluation at which it was reached first.
select
    study, task, trial_id, wi_seed, do_seed, dropout_seed, status, metric,
    best_score, best_step, best_step / steps_per_epoch as best_epoch, last_score
from trials
