-- atlas:txmode none

alter table public.log detach partition public.log_2025 concurrently;
