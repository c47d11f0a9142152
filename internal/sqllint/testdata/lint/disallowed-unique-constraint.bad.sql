alter table public.beds add constraint beds_code_key unique (code);
alter table public.beds add column tag text unique;
