"""Names of the database's objects that commands and network policies refer to as well."""

CHECK = "database-check"
"""Value of the label of the pods in which commands reach a database that the stack does not run."""
CREDENTIALS = "database-credentials"
"""Value of the label of the Secret with the password of such a database."""
