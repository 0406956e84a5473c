"""What Alembic runs: on the connection it is given, with the models of one module or of all."""

from alembic import context

from erp_modules.kernel.migrate import owns, render_type
from erp_modules.kernel.models import Base

attributes = context.config.attributes
module = attributes.get("module", "")

context.configure(
    connection=attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
    compare_type=True,
    render_item=render_type,
    include_object=lambda item, name, kind, reflected, other: owns(module, kind, name, item),
)
with context.begin_transaction():
    context.run_migrations()
