alter table public.beds add constraint beds_code_key unique using index beds_code_idx;
