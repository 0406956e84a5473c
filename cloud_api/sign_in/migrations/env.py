"""What Alembic runs, on the connection it is given."""

from alembic import context

from cloud_api.sign_in.migrate import VERSION_TABLE
from cloud_api.sign_in.models import SignInBase

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SignInBase.metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
