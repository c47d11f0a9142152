set local lock_timeout = '50ms';
set statement_timeout to 1000;
