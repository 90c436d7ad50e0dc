#!/usr/bin/env bash
# Copyright (c) mmdiffkd contributors.
# From nothing to a distilled student, with its numbers and a picture.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash tools/quickstart.sh [options]

Sets up the environment, makes the demo data, trains a small teacher, trains
the same student twice under one budget (alone, and with DiffKD), evaluates all
three on the test images, exports the plain student, opens it in the stock
library and draws report.png. Needs no GPU and uses one where it finds one. On
2 CPU cores the detector took 7 minutes, and 16 beside other runs; classifier
and segmentor need 17 and 12 minutes of one core.

Options:
  --task TASK      det: a detector (the default); seg: a segmentor;
                   cls: a classifier; all: the three, one after the other
  --work-dir DIR   folder for all results (default: work_dirs/quickstart);
                   those of seg and cls are in DIR/seg and DIR/cls
  --seed N         seed of the trainings (default: 0)
  --resume         go on with an unfinished run: finished steps are kept
  --overwrite      remove an earlier run of the same task and start anew
  --rehearse       run every step for a few iterations only, in one or two
                   minutes; the numbers then mean nothing
  -h, --help       print this text

The demo data lies in data/demo; see tools/make_demo_data.py. An installed
package has no checkout and sets up nothing: there it is `mmdiffkd quickstart`,
which takes the libraries that are there, and puts data and results into the
current folder.
EOT
}

die() {
    printf 'quickstart.sh: error: %s\n' "$*" >&2
    exit 2
}

# --- arguments ---------------------------------------------------------------
task=det work=work_dirs/quickstart seed=0
resume=false overwrite=false rehearse=false
while [ $# -gt 0 ]; do
    case $1 in
        --task | --work-dir | --seed)
            [ $# -ge 2 ] || die "$1 needs a value, see --help"
            case $1 in
                --task) task=$2 ;;
                --work-dir) work=$2 ;;
                --seed) seed=$2 ;;
            esac
            shift
            ;;
        --resume) resume=true ;;
        --overwrite) overwrite=true ;;
        --rehearse) rehearse=true ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) die "unknown option '$1', see --help" ;;
    esac
    shift
done
case $task in
    det | seg | cls) tasks=$task ;;
    all) tasks='det seg cls' ;;
    *) die "--task '$task' does not exist; there are: det, seg, cls, all" ;;
esac
[[ $seed =~ ^[0-9]+$ ]] || die "--seed '$seed' is no whole number"
if $resume && $overwrite; then
    die '--resume keeps an earlier run and --overwrite removes it: choose one'
fi
[ -n "$work" ] || die '--work-dir must not be empty'
mkdir -p "$(dirname "$work")"
base=$(cd "$(dirname "$work")" && pwd)/$(basename "$work")
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
installed=true
if [ -f "$home/requirements/constraints.txt" ]; then
    installed=false  # a checkout, where data and results go by default
    cd "$home"
fi
tools=$home/tools

# --- an earlier run in the same place ----------------------------------------
# use TASK: set the variables of a task. The file $mark says that a folder is
# ours, and what it was made with.
use() {
    task=$1 work=$base/$1
    [ "$task" != det ] || work=$base
    mark=$work/quickstart.options
    options="task=$task seed=$seed rehearse=$rehearse"
}

# find_entries: set $entries to what is in $work, but for other tasks' runs.
find_entries() {
    local path
    entries=()
    for path in "$work"/* "$work"/.[!.]*; do
        if [ -e "$path" ] && [ ! -f "$path/quickstart.options" ]; then
            entries+=("$path")
        fi
    done
}

# Every task is looked at before the first begins.
for task in $tasks; do
    use "$task"
    find_entries
    [ ${#entries[@]} -gt 0 ] || continue
    [ -f "$mark" ] || die "$work holds something else than a quickstart run;" \
        "choose another --work-dir"
    if ! $overwrite && ! $resume; then
        die "$work holds an earlier run. Look at its report.png, or choose:" \
            "--resume (go on with it), --overwrite (remove it)," \
            "--work-dir (leave it alone)"
    elif $resume && [ "$(cat "$mark")" != "$options" ]; then
        die "the run in $work was made with $(cat "$mark"), not $options:" \
            "it cannot be resumed so"
    fi
done

# --- environment -------------------------------------------------------------
if $installed; then
    python=${MMDIFFKD_PYTHON:-python}
else
    python=$(bash tools/setup_env.sh --print-python)
fi
# Without nvcc, mmcv has no operators for the GPU that PyTorch would choose.
if [[ $python == */py*-cpu-* ]]; then export CUDA_VISIBLE_DEVICES=; fi

# --- steps -------------------------------------------------------------------
# step NAME TITLE COMMAND...: one step, unless an earlier run finished it.
# Its results are in $work/NAME, its output in $work/logs.
step() {
    local name=$1 title=$2 log=$work/logs/${1//\//-}.log
    shift 2
    if [ -f "$work/finished/${name//\//-}" ]; then
        printf '%-18s  found from the earlier run, kept\n' "$title"
        return
    fi
    rm -rf -- "${work:?}/$name"
    "$python" "$tools"/analysis_tools/run_with_progress.py \
        --title "$(printf '%-18s' "$title")" --log "$log" -- "$@"
    touch "$work/finished/${name//\//-}"
}

# train NAME TITLE [OPTION=VALUE...], evaluate NAME TITLE
train() {
    local name=$1 title=$2
    shift 2
    local settings=("$@" "${short[@]}")
    step "$name" "$title" "$python" "$tools"/train.py "$(config "$name")" \
        --work-dir "$work/$name" --seed "$seed" \
        ${settings:+--cfg-options "${settings[@]}"}
}
evaluate() {
    local found=$work/test/$1/predictions keep
    case $task in
        det) keep=(--cfg-options "test_evaluator.outfile_prefix=$found") ;;
        seg) keep=(--cfg-options "test_evaluator.output_dir=$found") ;;
        cls) keep=(--out "$found.pkl") ;;
    esac
    step "test/$1" "$2" "$python" "$tools"/test.py "$(config "$1")" \
        "$(cat "$work/$1/last_checkpoint")" --work-dir "$work/test/$1" \
        "${keep[@]}"
}

# config NAME: the config of a model of this task.
config() {
    case $task-$1 in
        det-diffkd) echo "$home"/configs/demo/digits_diffkd_retina.py ;;
        det-*) echo "$home/configs/demo/digits_retina_$1.py" ;;
        # On the pyramid: predictions want more iterations than a demo has.
        seg-diffkd) echo "$home"/configs/demo/digits_seg_diffkd_features.py ;;
        *) echo "$home/configs/demo/digits_${task}_$1.py" ;;
    esac
}

run_task() {
    local start=$SECONDS library predictions short=()
    local data=data/demo/$task plain=$work/student_distilled.pth
    mkdir -p "$work/logs" "$work/finished"
    printf '%s\n' "$options" >"$mark"
    case $task in
        det) library=MMDetection predictions=predictions.bbox.json ;;
        seg) library=MMSegmentation predictions=predictions ;;
        cls) library=MMPretrain predictions=predictions.pkl ;;
    esac
    if $rehearse; then
        short=(default_hooks.logger.interval=1
            train_dataloader.dataset.indices=8
            train_dataloader.batch_size=2
            val_dataloader.dataset.indices=8)
        case $task in
            det) short+=(train_cfg.max_epochs=2 param_scheduler.0.end=2) ;;
            seg) short+=(train_cfg.max_iters=8 train_cfg.val_interval=4
                param_scheduler.0.end=2) ;;
            cls) short+=(train_cfg.max_epochs=2 param_scheduler.0.end=2) ;;
        esac
    fi

    step data 'demo data' "$python" "$tools"/make_demo_data.py --task "$task" \
        --out data/demo
    train teacher 'teacher'
    train student 'student alone'
    train diffkd 'student distilled' \
        "model.teacher_ckpt=$(cat "$work/teacher/last_checkpoint")"
    evaluate teacher 'test: teacher'
    evaluate student 'test: alone'
    evaluate diffkd 'test: distilled'
    step export 'export student' "$python" \
        "$tools"/model_converters/export_student.py \
        "$(cat "$work/diffkd/last_checkpoint")" "$plain" --overwrite
    # Without the checkout on the path: the stock library and nothing else.
    step stock "stock $library" env -u PYTHONPATH "$python" \
        "$tools"/analysis_tools/stock_inference.py "$plain" --task "$task" \
        --data "$data" --expect "$work/test/diffkd/$predictions"
    step report 'report' "$python" "$tools"/analysis_tools/quickstart_report.py \
        "$work" --task "$task" --data "$data"

    cat "$work/logs/report.log"
    tail -n 1 "$work/logs/stock.log"
    cat <<EOT

report           $work/report.png
numbers          $work/report.json
plain student    $plain
full logs        $work/logs/

Took $(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s after set-up.
EOT
}

# --- the runs ----------------------------------------------------------------
summary=()
for task in $tasks; do
    use "$task"
    if $overwrite; then
        find_entries  # the runs of other tasks in the same folder stay
        rm -rf -- "${entries[@]}"
    fi
    [ "$tasks" = "$task" ] || printf '\n=== %s ===\n' "$task"
    run_task
    summary+=("$task=$work")
done
if [ ${#summary[@]} -gt 1 ]; then
    echo
    "$python" "$tools"/analysis_tools/quickstart_summary.py "${summary[@]}"
fi
if $rehearse; then
    echo 'This was a rehearsal: the numbers mean nothing.'
fi
