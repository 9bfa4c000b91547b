"""Every program of the sample prints what its comment says."""

import contextlib
import io
import re

from aquila_jax.dmu import sample

SEED = 3


def test_programs_print_what_is_written():
    (domain,) = [domain for domain in sample.DOMAINS if domain.name == "code"]
    for row in sample.documents(domain, seed=SEED, size=2e5):
        code, _, output = re.split(r"\n(# Output:|# prints)\n", row["text"].replace("\n\n#", "\n#"))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, {})
        assert printed.getvalue() == output.replace("# ", "") + "\n", row["text"]
