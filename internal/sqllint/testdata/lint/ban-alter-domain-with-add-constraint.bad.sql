alter domain public.code add constraint code_form check (value ~ '^[A-Z]');
