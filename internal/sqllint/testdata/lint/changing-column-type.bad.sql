alter table public.beds alter column code type text;
alter table public.beds alter id set data type bigint using id::bigint;
