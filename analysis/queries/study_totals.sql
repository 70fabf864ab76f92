-- How many trials of a study there are of each status, and the time they took.
select
    histogram(status) as trials,
    sum(seconds) as seconds,
    min(started_at) as first_started_at,
    max(started_at) as last_started_at
from trials
where study = $study
