create function public.f() returns int language plpgsql as $$ begin return 1; end $$;
create function public.g() returns int language sql begin atomic select case when true then 1 end; end;
rollback to savepoint a;
