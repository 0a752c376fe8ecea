"""`python -m convo_service.cli` is `convo-service`."""

from convo_service.cli import main

main()
