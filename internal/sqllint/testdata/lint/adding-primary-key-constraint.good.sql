alter table public.beds add constraint beds_pkey primary key using index beds_id_idx;
