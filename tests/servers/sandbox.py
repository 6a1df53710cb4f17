#!/usr/bin/env python3
"""Runs a command under the filters of a systemd unit, without systemd: sandbox.py UNIT COMMAND...
SystemCallFilter= (EPERM), RestrictAddressFamilies= (EAFNOSUPPORT) and MemoryDenyWriteExecute= (EPERM), as systemd.exec(5) has
them, are put into one seccomp filter. Needs systemd-analyze, for what its @groups are, and cc, for the numbers of system calls."""
import ctypes, errno, os, socket, subprocess, sys

def output(*words, text=''):
    return subprocess.run(words, input=text, stdout=subprocess.PIPE, check=True, text=True).stdout

def settings(unit, key):
    return [line.split('=', 1)[1].strip() for line in open(unit) if line.startswith(key + '=')]

def members(name, groups):
    if not name.startswith('@'): return {name}
    return set().union(*(members(part, groups) for part in groups[name]))

def allowed(unit):
    groups, group = {}, None
    for line in output('systemd-analyze', '--no-pager', 'syscall-filter').splitlines():
        if line.startswith('@'): group = groups.setdefault(line.strip(), [])
        elif line.startswith('    ') and not line.strip().startswith('#'): group.append(line.strip())
        elif line.startswith('#') or not line.strip(): group = [] if line.startswith('#') else group
    found = members('@default', groups)   # systemd always allows these
    for value in settings(unit, 'SystemCallFilter'):
        named = set().union(*(members(name, groups) for name in value.lstrip('~').split()))
        found = found - named if value.startswith('~') else found | named
    return found

def program(unit):
    defines = output('cc', '-E', '-dM', '-', text='#include <sys/syscall.h>\n').splitlines()
    numbers = {words[1][5:]: words[2] for words in map(str.split, defines) if len(words) == 3 and words[1].startswith('__NR_')}
    number = lambda name: int(numbers[name])
    arch = {'x86_64': 0xC000003E, 'aarch64': 0xC00000B7}[os.uname().machine]
    LD, AND, EQ, SET, RET = 0x20, 0x54, 0x15, 0x45, 0x06
    ALLOW, KILL, refuse = 0x7FFF0000, 0x80000000, lambda why: (RET, 0, 0, 0x00050000 | why)
    argument = lambda index: (LD, 0, 0, 16 + 8 * index)
    load = (LD, 0, 0, 0)
    def only_for(name, body):   # the body leaves something else loaded
        body = body + [load]
        return [(EQ, 0, len(body), number(name))] + body
    code = [(LD, 0, 0, 4), (EQ, 1, 0, arch), (RET, 0, 0, KILL), load]
    families = [getattr(socket, family) for value in settings(unit, 'RestrictAddressFamilies') for family in value.split()]
    if families:
        tests = [(EQ, len(families) - at, 0, int(family)) for at, family in enumerate(families)]
        code += only_for('socket', [argument(0)] + tests + [refuse(errno.EAFNOSUPPORT)])
    if settings(unit, 'MemoryDenyWriteExecute') == ['yes']:
        code += only_for('mprotect', [argument(2), (SET, 0, 1, 4), refuse(errno.EPERM)])
        code += only_for('mmap', [argument(2), (AND, 0, 0, 6), (EQ, 0, 1, 6), refuse(errno.EPERM)])
    for name in sorted(allowed(unit) & numbers.keys()):
        code += [(EQ, 0, 1, number(name)), (RET, 0, 0, ALLOW)]
    return code + [refuse(errno.EPERM)]

class Instruction(ctypes.Structure):
    _fields_ = [('code', ctypes.c_uint16), ('jt', ctypes.c_uint8), ('jf', ctypes.c_uint8), ('k', ctypes.c_uint32)]
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_uint16), ('filter', ctypes.POINTER(Instruction))]

unit, command = sys.argv[1], sys.argv[2:]
code = program(unit)
array = (Instruction * len(code))(*(Instruction(*line) for line in code))
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
for words in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(Program(len(code), array)), 0, 0)):
    if libc.prctl(*words) != 0: sys.exit(f'sandbox.py: prctl: {os.strerror(ctypes.get_errno())}')
os.execvp(command[0], command)
