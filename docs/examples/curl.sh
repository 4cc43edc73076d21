#!/bin/sh
# Asks for images with curl in four ways: wait, watch, come back later, and begin with a picture.
set -eu
url=${TAXIWAY_URL:-http://127.0.0.1:4000}
key=${TAXIWAY_KEY:-any}

call() {
  curl --silent --show-error --fail-with-body --header "Authorization: Bearer $key" "$@"
}

echo 'Wait: the answer is what OpenAI would say.'
call "$url/v1/images/generations" --header 'Content-Type: application/json' \
  --data '{"model": "gen4_image", "prompt": "A red fox in the snow", "size": "1920x1080"}'
echo

echo 'Watch: progress comes as Server-Sent Events, and the image with the last one.'
call --no-buffer "$url/v1/images/generations" --header 'Content-Type: application/json' \
  --data '{"model": "gen4_image", "prompt": "A red fox", "stream": true, "response_format": "url"}'

echo 'Come back later: the job has an address, its events can be read at any time, and again.'
job=$(call "$url/v1/images/generations" --header 'Content-Type: application/json' \
  --header 'Prefer: respond-async' --data '{"model": "gen4_image", "prompt": "A fox at night"}' |
  sed 's/.*"id":"\(job_[^"]*\)".*/\1/')
call --no-buffer "$url/v1/jobs/$job/events" | grep '^event:'
call "$url/v1/jobs/$job/images/0" --output fox.png
echo "saved $job as fox.png"

echo 'Begin with a picture.'
call "$url/v1/images/edits" --form model=gen4_image --form 'prompt=The same fox in the rain' \
  --form image=@fox.png
echo
