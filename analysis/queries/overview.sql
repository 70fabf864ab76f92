-- What there is: per study and task how many trials ended how, and how far their best scores lie
-- apart. Only trials that trained to their end are scored; the deviation is the population's, as in
-- the paper.
select
    study, task, any_value(metric) as metric,
    count(*) as trials,
    count(*) filter (where status = 'finished') as finished,
    count(*) filter (where status = 'diverged') as diverged,
    count(*) filter (where status = 'stopped_early') as stopped_early,
    count(*) filter (where status = 'failed') as failed,
    count(*) filter (where status = 'interrupted') as interrupted,
    count(*) filter (where status = 'running') as running,
    avg(best_score) filter (where scored) as mean,
    if(count(*) filter (where scored) > 1, stddev_pop(best_score) filter (where scored), null) as sd,
    min(best_score) filter (where scored) as min,
    max(best_score) filter (where scored) as max
from (
    select *, status in ('finished', 'diverged') and isfinite(best_score) as scored
    from trials
)
group by study, task
order by study, task
