drop table -- phasegate:ignore ban-drop-table it is empty
  public.beds;
