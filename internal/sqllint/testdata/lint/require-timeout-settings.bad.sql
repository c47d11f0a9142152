set lock_timeout = 0;
set local statement_timeout to default;
reset lock_timeout;
