revoke all on public.beds from app;
