alter domain public.code add constraint code_form check (value ~ '^[A-Z]') not valid;
alter domain public.code set default 'A';
