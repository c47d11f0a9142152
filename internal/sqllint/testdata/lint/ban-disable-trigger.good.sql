alter table public.beds enable trigger beds_audit;
