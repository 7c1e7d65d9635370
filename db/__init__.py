"""cmpt756db: the datastore service, the only one that speaks to DynamoDB."""
