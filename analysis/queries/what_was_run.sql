-- What the trials of a study have in common, and in what they differ: per task, of each column, its
-- distinct values.
select task, list_sort(list_distinct(list(columns(* exclude (task)))))
from trials
where study = $study
group by task
order by task
