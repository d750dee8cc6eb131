"""What the launch scripts refuse, and what they start."""
import os
import subprocess
from pathlib import Path

import pytest

from tests.toy import ROOT

TRAIN, TEST = ROOT / 'tools/dist_train.sh', ROOT / 'tools/dist_test.sh'


@pytest.fixture
def machine(tmp_path):
    """Run a script on a machine with as many GPUs and cores as one likes.

    ``python`` only tells what it would have started.
    """
    python = tmp_path / 'python'
    python.write_text('#!/usr/bin/env bash\n'
                      'if [[ "$1" == -c ]]; then echo "$GPUS"; exit; fi\n'
                      'printf "%s|" "$@"\n'
                      'echo "PYTHONPATH=$PYTHONPATH OMP=$OMP_NUM_THREADS"\n')
    nproc = tmp_path / 'nproc'
    nproc.write_text('#!/usr/bin/env bash\necho "$CORES"\n')
    srun = tmp_path / 'srun'
    srun.write_text('#!/usr/bin/env bash\nprintf "%s|" "$@"\n')
    for file in (python, nproc, srun):
        file.chmod(0o755)

    def run(*command, gpus=0, cores=2, **environment):
        env = {
            key: value
            for key, value in os.environ.items()
            if key not in ('OMP_NUM_THREADS', 'PORT', 'NNODES', 'GPUS',
                           'RESTARTS', 'JOB_ID')
        }
        env.update(
            PYTHON=str(python),
            PATH=f'{tmp_path}:{env["PATH"]}',
            GPUS=str(gpus),
            CORES=str(cores),
            **environment)
        return subprocess.run(
            [str(x) for x in command], env=env, capture_output=True, text=True)

    return run


def test_sixteen_gpus(machine):
    run = machine(TRAIN, 'a.py', 16, '--amp', gpus=16, PYTHONPATH='/mine')
    assert run.returncode == 0
    assert run.stdout == (
        f'{ROOT}/tools/launch.py|--standalone|--nproc-per-node|16|'
        f'{ROOT}/tools/train.py|a.py|--launcher|pytorch|--amp|'
        f'PYTHONPATH={ROOT}:/mine OMP=1\n')


@pytest.mark.parametrize('gpus, cores, asked, nodes, have, machines, each', [
    (8, 64, 16, '1', '8 GPU(s), 16 are asked for.', 2, 8),
    (0, 8, 16, '1', '8 CPU core(s)', 2, 8),
    (8, 64, 16, '2', 'on each of 2 machines, 32 in all', 4, 8),
    (8, 64, 12, '1:2', 'on each of 2 machines, 24 in all', 3, 8),
])
def test_too_many_for_a_machine(machine, gpus, cores, asked, nodes, have,
                                machines, each):
    options = 'model.type=A B'
    run = machine(
        TRAIN, 'a.py', asked, '--cfg-options', options, gpus=gpus,
        cores=cores, NNODES=nodes)
    assert run.returncode == 2 and run.stdout == ''
    assert have in run.stderr
    commands = [x for x in run.stderr.splitlines() if 'NNODES' in x]
    for rank, command in enumerate(commands):
        assert command.startswith(
            f'  NNODES={machines} NODE_RANK={rank} MASTER_ADDR=')
        assert command.endswith(
            f'{TRAIN} a.py {each} --cfg-options model.type=A\\ B')
    assert len(commands) == min(machines, 3) - (machines > 3)
    assert 'learning rate' not in run.stderr


def test_another_number_of_processes_is_told(machine):
    run = machine(TRAIN, 'a.py', 3, gpus=2)
    assert 'These are 4 processes, not 3' in run.stderr
    assert '--auto-scale-lr' in run.stderr


def test_restarts(machine):
    run = machine(TRAIN, 'a.py', 1, RESTARTS='3', NNODES='2',
                  MASTER_ADDR='10.0.0.1')
    assert run.stdout.startswith(
        f'{ROOT}/tools/launch.py|--nnodes|2|--rdzv-backend|c10d|--rdzv-id|'
        'cast|--rdzv-endpoint|10.0.0.1:29500|--max-restarts|3|--nproc')
    run = machine(TRAIN, 'a.py', 1, NNODES='1:4', JOB_ID='7')
    assert '--nnodes|1:4|' in run.stdout and '|--max-restarts|0|' in run.stdout
    assert '--rdzv-id|7|' in run.stdout
    run = machine(TRAIN, 'a.py', 1, RESTARTS='1')
    assert 'launch.py|--standalone|--max-restarts|1|--nproc' in run.stdout
    for wrong in (dict(NNODES='1:'), dict(RESTARTS='often')):
        run = machine(TRAIN, 'a.py', 1, **wrong)
        assert run.returncode == 2 and repr(*wrong.values()) in run.stderr


def test_the_printed_command_works(machine):
    run = machine(TRAIN, 'a.py', 16, '--cfg-options', 'x=A B', gpus=8)
    command = next(x for x in run.stderr.splitlines() if 'NODE_RANK=1' in x)
    run = machine('bash', '-c', command, gpus=8)
    assert '--nnodes|2|--node-rank|1|--master-addr|' in run.stdout
    assert '|--master-port|29500|--nproc-per-node|8|' in run.stdout
    assert '|--cfg-options|x=A B|' in run.stdout


def test_threads_of_a_cpu_run(machine):
    run = machine(TRAIN, 'a.py', 2, cores=8)
    assert run.stdout.endswith('OMP=4\n')


def test_a_port(machine):
    run = machine(TRAIN, 'a.py', 1, PORT='1234')
    assert '--nnodes|1|' in run.stdout and '--master-port|1234|' in run.stdout


def test_testing(machine):
    run = machine(TEST, 'a.py', 'b c.pth', 2, '--dump', 'd.pkl')
    assert f'{ROOT}/tools/test.py|a.py|b c.pth|--launcher|pytorch|' \
        '--dump|d.pkl|' in run.stdout
    run = machine(TEST, 'a.py', 'b c.pth', 16, gpus=8)
    assert 'dist_test.sh a.py b c.pth 8' in run.stderr.replace('\\', '')


@pytest.mark.parametrize('command', [(TRAIN, 'a.py'), (TEST, 'a.py', 'b.pth'),
                                     (TRAIN, 'a.py', 'two'),
                                     (TRAIN, 'a.py', '0')])
def test_usage(machine, command):
    run = machine(*command)
    assert run.returncode == 2 and run.stderr


@pytest.mark.parametrize('name, files', [('train', ['a.py']),
                                         ('test', ['a.py', 'b.pth'])])
def test_slurm(machine, name, files):
    script = Path(ROOT, f'tools/slurm_{name}.sh')
    run = machine(
        script,
        'part',
        'job',
        *files,
        '--work-dir',
        'a b',
        gpus=16,
        SRUN_ARGS='--signal=TERM@120 --quotatype=auto')
    assert run.stdout.startswith(
        '--partition|part|--job-name|job|--gres|gpu:8|--ntasks|16|'
        '--ntasks-per-node|8|')
    assert '|--signal=TERM@120|--quotatype=auto|' in run.stdout
    assert run.stdout.endswith(
        f'{ROOT}/tools/{name}.py|{"|".join(files)}|--work-dir|a b|'
        '--launcher|slurm|')
    assert machine(script, 'part', 'job').returncode == 2


def slurm_job(machine, tmp_path, script, *words, ends=0, **environment):
    """Run a job script as Slurm does: from the root, where it was submitted.

    ``srun`` and ``scontrol`` tell what they were asked for.
    """
    for name, status in (('srun', ends), ('scontrol', 0)):
        file = tmp_path / name
        file.write_text('#!/usr/bin/env bash\n'
                        f'printf "%s|" {name} "$@"\nexit {status}\n')
        file.chmod(0o755)
    return machine('bash', ROOT / 'tools' / script, *words,
                   SLURM_SUBMIT_DIR=str(ROOT), SLURM_JOB_ID='7',
                   **environment)


def test_requeue(machine, tmp_path):
    def job(*words, **more):
        return slurm_job(machine, tmp_path, 'slurm_requeue.sh', *words, **more)

    run = job('a.py', '--work-dir', 'a b')
    assert run.returncode == 0
    assert run.stdout.startswith('srun|--kill-on-bad-exit|1|')
    assert run.stdout.endswith('|-u|tools/train.py|a.py|--work-dir|a b|'
                               '--resume|--launcher|slurm|')
    run = job('a.py', ends=143)
    assert run.returncode == 0 and run.stdout.endswith('|scontrol|requeue|7|')
    run = job('a.py', ends=1)
    assert run.returncode == 1 and 'scontrol' not in run.stdout
    run = job('a.py', ends=143, SLURM_RESTART_COUNT='100')
    assert run.returncode == 143 and 'not once more' in run.stderr
    assert job().returncode == 2


def test_array(machine, tmp_path):
    runs = tmp_path / 'ratios.txt'
    runs.write_text('# ratio of the exchange\na.py --amp\n\n'
                    'b.py --cfg-options "x=[1, 2]" --work-dir "c d"\n')

    def job(number):
        return slurm_job(machine, tmp_path, 'slurm_array.sh', runs,
                         SLURM_ARRAY_TASK_ID=number)

    assert '|a.py|--amp|--work-dir|work_dirs/ratios/1|--res' in job('1').stdout
    assert '|b.py|--cfg-options|x=[1, 2]|--work-dir|c d|--r' in job('2').stdout
    assert 'has 2 runs' in job('3').stderr
    assert job('').returncode == 2
