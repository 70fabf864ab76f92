-- The tasks of a study (Table 2) and how their trials ended. A trial is at the baseline if it never
-- scored above predicting the most frequent label, rounding aside.
select
    task, metric, majority_baseline, labels, train_examples, validation_examples,
    histogram(status) as trials,
    count(*) filter (where status in ('finished', 'diverged') and isfinite(best_score)) as scored,
    count(*) filter (
        where status in ('finished', 'diverged')
          and isfinite(best_score) and best_score <= majority_baseline + 1e-9
    ) as at_baseline
from trials
where study = $study
group by task, metric, majority_baseline, labels, train_examples, validation_examples
order by task, metric, train_examples, validation_examples, majority_baseline
