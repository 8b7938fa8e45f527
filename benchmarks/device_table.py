"""The table at the end of ``devices.py``, in the form of published ones, and what stands out in it."""

COLUMNS = (("s/step", "s_step"), ("s/call", "s_call"), ("first, s", "first_s"), ("peak, GB", "peak_gb"), ("PSNR, dB", "psnr"))
SAME_PSNR = 0.02  # dB, from a CPU's
THEIRS = "PyTorch, "  # begins the names of its cases, which go on as ours do


def table(records, beside):
    """Return records as a Markdown table, a row a part; ``beside``, records of a CPU by case, is compared with."""
    head = ["case", "part", "resource", "version", *(title for title, _ in COLUMNS), "published", "notes"]
    rows = [head, ["---"] * len(head)]
    for record in records:
        version = record["parts"].get("about", {}).get("version", "")
        parts = {part: values for part, values in record["parts"].items() if part != "about"}
        for part, values in (parts or {"": {}}).items():
            notes = [*notes_of(record, part, values, beside, records)]
            if part == (list(parts) or [""])[-1]:
                notes += ended(record)
            rows.append(
                [
                    record["case"],
                    part,
                    record["resource"],
                    version,
                    *(text(values.get(key)) for _, key in COLUMNS),
                    record["published"],
                    "; ".join(notes),
                ]
            )
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


def text(value):
    return "" if value is None else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3g}"


def ended(record):
    """Yield how a case ended that was not measured to its end."""
    if record["status"] != "done":
        yield f"{record['status'].upper()}: {record.get('skipped') or record['error'][0]}"


def notes_of(record, part, values, beside, records):
    """Yield what stands out in a part."""
    if "fine" in values:
        yield f"{'' if values['fine'] else 'DIFFERS: '}largest difference {values['largest']:.1e}"
    elif "largest" in values:
        yield f"largest difference {values['largest']:.1e}"
    if "does_not_fit" in values:
        yield f"does not fit: {values['does_not_fit'][0]}"
    if "frames_a_second" in values:
        yield f"{values['frames_a_second']} frames/s"
    of_cpu = beside.get(record["case"], {})
    of_cpu = of_cpu.get("parts", {}).get(part, {}) if of_cpu.get("settings") == record["settings"] else {}
    if values.get("psnr") is not None and of_cpu.get("psnr") is not None:
        difference = values["psnr"] - of_cpu["psnr"]
        # what is trained does not end at a point that two devices share; what is evaluated does
        apart = "losses" not in values and abs(difference) > SAME_PSNR
        yield f"{'DIFFERS: ' * apart}{difference:+.3f} dB from the CPU"
    if "losses" in values:
        fell = values["loss_ends"] < values["loss_begins"]
        also = f", on the CPU {_fall(of_cpu)}" if "losses" in of_cpu else ""
        yield f"{'' if fell or record['small'] else 'DOES NOT FALL: '}loss {_fall(values)}{also}"
    yield from ratio(record, part, values, records)


def _fall(values):
    return f"{values['loss_begins']:.4f} to {values['loss_ends']:.4f}"


def ratio(record, part, values, records):
    """Yield our time over PyTorch's on the same device, which nothing else uses meanwhile; of batches, of equal ones.

    Not on a CPU: who shares it shows in such a ratio, so there ``side_by_side.py`` lets the two take turns.
    """
    if record["device"] == "cpu":
        return
    for theirs in records:
        if not theirs["case"].startswith(THEIRS) or not record["case"].startswith(theirs["case"][len(THEIRS) :]):
            continue
        for key in ("s_step", "s_call"):
            same = (
                theirs["parts"].get(part, {})
                if key == "s_step"
                else next((each for each in theirs["parts"].values() if key in each), {})
            )
            if key in values and key in same:
                yield f"{values[key] / same[key]:.2f} times PyTorch's"
