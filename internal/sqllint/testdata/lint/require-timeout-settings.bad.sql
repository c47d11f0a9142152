set lock_timeout = 0;
set local statement_timeout to default;
reset lock_timeout;
set lock_timeout = '0ms';
set local statement_timeout to '0 s';
alter database app set lock_timeout = '0';
