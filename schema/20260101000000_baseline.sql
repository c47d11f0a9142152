-- MedLogistics as it was before Auth0: clients send an API key, and the key is
-- looked up in users. Databases in production have these tables already; there
-- this version is the baseline and is not run.

create type public.userrole as enum ('doctor', 'nurse', 'pharmacist');

create table public.users (
    id              uuid              primary key default gen_random_uuid(),
    email           text              not null unique,
    hashed_password text              not null,
    api_key         text              not null unique,
    role            public.userrole   not null,
    -- The last two are not in every deployment.
    full_name       text,
    is_active       boolean           not null default true
);

create table public.drugs (
    id                  uuid    primary key default gen_random_uuid(),
    name                text    not null,
    form                text    not null,
    strength            text    not null,
    current_stock       integer not null default 0,
    low_stock_threshold integer not null default 0,
    unique (name, form, strength)
);

create table public.drug_transfers (
    id               uuid      primary key default gen_random_uuid(),
    drug_id          uuid      not null references public.drugs,
    source_ward      text      not null,
    destination_ward text      not null,
    quantity         integer   not null,
    pharmacist_id    uuid      not null references public.users,
    transfer_date    timestamp not null default now()
);

create type public.orderstatus as enum ('active', 'completed', 'discontinued');

create table public.medication_orders (
    id           uuid               primary key default gen_random_uuid(),
    patient_name text               not null,
    drug_id      uuid               not null references public.drugs,
    dosage       text               not null,
    schedule     text               not null,
    status       public.orderstatus not null default 'active',
    doctor_id    uuid               not null references public.users,
    created_at   timestamp          not null default now()
);

create table public.medication_administrations (
    id                  uuid      primary key default gen_random_uuid(),
    order_id            uuid      not null references public.medication_orders,
    nurse_id            uuid      not null references public.users,
    administration_time timestamp not null default now()
);
