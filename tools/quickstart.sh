#!/usr/bin/env bash
# Copyright (c) mmdiffkd contributors.
# From nothing to a distilled detector, with its numbers and a picture.
set -euo pipefail

usage() {
    cat <<'EOT'
Usage: bash tools/quickstart.sh [options]

Sets up the environment, makes the demo data, trains a small teacher, trains
the same student twice under one budget (alone, and with DiffKD), evaluates all
three on the test images, exports the plain student, opens it in stock
MMDetection and draws WORK_DIR/report.png. Needs no GPU and uses one where it
finds one. On 2 CPU cores it took 7 minutes after set-up.

Options:
  --task det       task of the demo; det (detection) is the only one so far
  --work-dir DIR   folder for all results (default: work_dirs/quickstart)
  --seed N         seed of the trainings (default: 0)
  --resume         go on with an unfinished run: finished steps are kept
  --overwrite      remove an earlier run in WORK_DIR and start anew
  --rehearse       run every step for a few iterations only, in about two
                   minutes; the numbers then mean nothing
  -h, --help       print this text

The demo data lies in data/demo; see tools/make_demo_data.py.
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
[ "$task" = det ] || die "--task '$task' does not exist; there is: det"
[[ $seed =~ ^[0-9]+$ ]] || die "--seed '$seed' is no whole number"
if $resume && $overwrite; then
    die '--resume keeps an earlier run and --overwrite removes it: choose one'
fi
[ -n "$work" ] || die '--work-dir must not be empty'
mkdir -p "$(dirname "$work")"
work=$(cd "$(dirname "$work")" && pwd)/$(basename "$work")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# --- an earlier run in the same place ----------------------------------------
# The file that marks a folder as ours, and says what it was made with.
mark=$work/quickstart.options
options="task=$task seed=$seed rehearse=$rehearse"
if [ -e "$work" ] && [ -n "$(ls -A "$work" 2>&1)" ]; then
    [ -f "$mark" ] || die "$work holds something else than a quickstart run;" \
        "choose another --work-dir"
    if $overwrite; then
        rm -rf -- "$work"
    elif ! $resume; then
        die "$work holds an earlier run. Look at its report.png, or choose:" \
            "--resume (go on with it), --overwrite (remove it)," \
            "--work-dir (leave it alone)"
    elif [ "$(cat "$mark")" != "$options" ]; then
        die "the run in $work was made with $(cat "$mark"), not $options:" \
            "it cannot be resumed so"
    fi
fi

# --- environment -------------------------------------------------------------
python=$(bash tools/setup_env.sh --print-python)
start=$SECONDS
mkdir -p "$work/logs" "$work/finished"
printf '%s\n' "$options" >"$mark"

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
    "$python" tools/analysis_tools/run_with_progress.py \
        --title "$(printf '%-18s' "$title")" --log "$log" -- "$@"
    touch "$work/finished/${name//\//-}"
}

# train NAME TITLE CONFIG [OPTION=VALUE...], evaluate NAME TITLE CONFIG
if $rehearse; then
    short=(default_hooks.logger.interval=1 train_cfg.max_epochs=2
        train_dataloader.dataset.indices=32 param_scheduler.0.end=2)
else
    short=()
fi
train() {
    local name=$1 title=$2 config=configs/demo/$3
    shift 3
    local settings=("$@" "${short[@]}")
    step "$name" "$title" "$python" tools/train.py "$config" \
        --work-dir "$work/$name" --seed "$seed" \
        ${settings:+--cfg-options "${settings[@]}"}
}
evaluate() {
    step "test/$1" "$2" "$python" tools/test.py "configs/demo/$3" \
        "$(cat "$work/$1/last_checkpoint")" --work-dir "$work/test/$1" \
        --cfg-options \
        "test_evaluator.outfile_prefix=$work/test/$1/predictions"
}

# --- the run -----------------------------------------------------------------
data=data/demo
step data 'demo data' "$python" tools/make_demo_data.py --task "$task" \
    --out "$data"
train teacher 'teacher' digits_retina_teacher.py
train student 'student alone' digits_retina_student.py
train diffkd 'student distilled' digits_diffkd_retina.py \
    "model.teacher_ckpt=$(cat "$work/teacher/last_checkpoint")"
evaluate teacher 'test: teacher' digits_retina_teacher.py
evaluate student 'test: alone' digits_retina_student.py
evaluate diffkd 'test: distilled' digits_diffkd_retina.py
plain=$work/student_distilled.pth
step export 'export student' "$python" \
    tools/model_converters/export_student.py \
    "$(cat "$work/diffkd/last_checkpoint")" "$plain" --overwrite
# Without the checkout on the path: stock MMDetection and nothing else.
step stock 'stock MMDetection' env -u PYTHONPATH "$python" \
    tools/analysis_tools/stock_inference.py "$plain" \
    --annotations "$data/$task/annotations/instances_test.json" \
    --images "$data/$task/test" \
    --expect "$work/test/diffkd/predictions.bbox.json"
step report 'report' "$python" tools/analysis_tools/quickstart_report.py \
    "$work" --data "$data/$task"

# --- what was measured -------------------------------------------------------
cat "$work/logs/report.log"
tail -n 1 "$work/logs/stock.log"
cat <<EOT

report           $work/report.png
numbers          $work/report.json
plain student    $plain
full logs        $work/logs/

Took $(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s after set-up.
EOT
if $rehearse; then
    echo 'This was a rehearsal: the numbers mean nothing.'
fi
