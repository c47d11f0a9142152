create index beds_ward on public.beds (ward);
