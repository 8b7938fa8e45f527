import sys

from mindrestore.cli import main

sys.exit(main())
