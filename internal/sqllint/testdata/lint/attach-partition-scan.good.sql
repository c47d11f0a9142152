create table public.log_2026 (like public.log);
alter table public.log attach partition public.log_2026 for values from ('2026-01-01') to ('2027-01-01');
