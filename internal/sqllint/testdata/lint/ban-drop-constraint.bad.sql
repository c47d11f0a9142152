alter table public.beds drop constraint beds_code_key;
