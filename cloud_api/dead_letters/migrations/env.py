"""What Alembic runs, on the connection it is given."""

from alembic import context

from cloud_api.dead_letters.migrate import VERSION_TABLE
from cloud_api.dead_letters.models import DeadLetterBase

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=DeadLetterBase.metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
