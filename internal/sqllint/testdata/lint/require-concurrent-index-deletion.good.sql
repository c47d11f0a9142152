-- atlas:txmode none

drop index concurrently public.beds_ward;
