"""Everything that is written goes through `parc_motion.storage`; nothing is unpickled in process.

The scan looks at calls, not at what happens: a new way to write a file belongs into the lists below.
"""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = sorted(
    [
        *ROOT.glob("parc_core/**/*.py"),
        *ROOT.glob("libs/*/src/**/*.py"),
        *ROOT.glob("plugins/*/src/**/*.py"),
        *ROOT.glob("examples/*/src/**/*.py"),
    ]
)

# The one module that reads pickles: it runs as a limited child process and imports nothing of PARC.
UNPICKLING_CHILD = "plugins/parc_data/src/parc_data/unpickle_child.py"

# Methods that write wherever they occur, and functions that write, by their dotted name.
WRITING_METHODS = {
    "write_text", "write_bytes", "mkdir", "makedirs", "touch", "unlink", "rmdir", "symlink_to", "hardlink_to",
    "tofile", "savetxt", "imsave", "savefig",
}  # fmt: skip
WRITING_CALLS = {
    "np.save", "np.savez", "np.savez_compressed", "numpy.save", "numpy.savez", "numpy.savez_compressed", "np.memmap",
    "np.lib.format.open_memmap", "torch.save", "json.dump", "yaml.dump_all", "safetensors.torch.save_file",
    "safetensors.numpy.save_file", "save_file", "pickle.dump", "marshal.dump", "shelve.open",
    "os.rename", "os.replace", "os.remove", "os.mkdir", "os.truncate", "os.link", "os.symlink",
    "shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree", "shutil.move", "shutil.rmtree",
    "tempfile.NamedTemporaryFile", "tempfile.mkstemp", "tempfile.TemporaryFile",
    "logging.FileHandler", "zipfile.ZipFile",
}  # fmt: skip
UNPICKLING_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}

# (file, call) -> why it is no write past the storage
ALLOWED = {
    (
        "parc_core/cli/streams.py",
        "os.open",
    ): "the null device takes the place of a stream whose reader has gone",
    ("parc_core/runner/local.py", "tempfile.TemporaryFile"): "what a worker prints, gone with it",
    (
        "libs/parc_testing/src/parc_testing/processes.py",
        "tempfile.TemporaryFile",
    ): "what a process of a test prints",
    ("parc_core/runner/transport.py", "zipfile.ZipFile"): "archives are packed and read in memory",
}


def name_of(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a call's function, or its last name where the head is an expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else node.attr
    return ""


def mode_of(call: ast.Call, position: int) -> str:
    """The mode argument of an open call; "?" when it is not a literal."""
    given = [word.value for word in call.keywords if word.arg == "mode"] or call.args[position : position + 1]
    if not given:
        return "r"
    return given[0].value if isinstance(given[0], ast.Constant) and isinstance(given[0].value, str) else "?"


def writes_in(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, call) of everything that opens a file for writing or changes a folder."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = dotted(call.func)
        last = name.rpartition(".")[2]
        if last == "open" and name not in ("Image.open", "PIL.Image.open", "wave.open"):
            mode = mode_of(call, 1 if name in ("open", "io.open", "gzip.open") else 0)
            if name == "os.open" or set(mode) & set("wax+?"):
                found.append((call.lineno, f"{name}(mode {mode})"))
        elif (name == "zipfile.ZipFile" and mode_of(call, 1) == "r") or (
            name in ("np.savez", "np.savez_compressed", "np.save") and is_buffer(call)
        ):
            continue
        elif name in WRITING_CALLS or (isinstance(call.func, ast.Attribute) and last in WRITING_METHODS):
            found.append((call.lineno, name))
    return found


def is_buffer(call: ast.Call) -> bool:
    """Whether NumPy is told to write into memory: the first argument is called a buffer."""
    return bool(call.args) and "buffer" in ast.unparse(call.args[0])


WRITERS = (
    "libs/parc_motion/src/parc_motion/storage/",
    "libs/parc_testing/",
)  # contract suites damage files in pytest's folders on purpose


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if not name_of(path).startswith(WRITERS)], ids=name_of
)
def test_nothing_is_written_outside_the_storage(path):
    found = [
        f"{name_of(path)}:{line}: {call}"
        for line, call in writes_in(ast.parse(path.read_text()))
        if (name_of(path), call.partition("(")[0]) not in ALLOWED and not call.startswith("storage.")
    ]
    assert found == [], (
        "write through parc_motion.storage (write_bytes, write_with, append_line, make_folder, ...)"
    )


@pytest.mark.parametrize("path", [path for path in SOURCES if name_of(path) != UNPICKLING_CHILD], ids=name_of)
def test_nothing_is_unpickled_in_process(path):
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.partition(".")[0] in UNPICKLING_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNPICKLING_MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            allowed = [word for word in node.keywords if word.arg == "allow_pickle"]
            if name == "torch.load" or any(ast.unparse(word.value) != "False" for word in allowed):
                found.append(ast.unparse(node))
    assert found == [], "pickles are read by the limited child process alone"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_numpy_load_refuses_pickles(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and dotted(node.func) in ("np.load", "numpy.load"):
            words = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert words.get("allow_pickle") == "False", (
                f"{name_of(path)}:{node.lineno}: say allow_pickle=False"
            )


def test_scan_sees_what_it_should():
    writing = [
        "open(p, 'w')", "open(p, mode='ab')", "p.open('r+')", "p.open('x')", "open(p, mode)", "p.write_text(t)",
        "p.mkdir()", "np.save(p, a)", "torch.save(x, p)", "shutil.move(a, b)", "os.replace(a, b)",
        "zipfile.ZipFile(p, 'w')",
        "safetensors.torch.save_file(t, p)", "os.open(p, os.O_RDWR)", "p.unlink()",
    ]  # fmt: skip
    reading = [
        "open(p)", "open(p, 'rb')", "p.open()", "p.open('rb')", "zipfile.ZipFile(p)", "np.savez(buffer, a=a)",
        "Image.open(p)",
        "text.replace('a', 'b')", "items.remove(x)",
    ]  # fmt: skip
    assert [code for code in writing if not writes_in(ast.parse(code))] == []
    assert [code for code in reading if writes_in(ast.parse(code))] == []
