# Sourced after postgres.sh, not run: a real browser for the console's tests, and what looks into its pages.

need_browser() {
  command -v chromium >/dev/null || command -v google-chrome >/dev/null || install chromium "a browser"
  command -v chromedriver >/dev/null || install chromium-driver "chromedriver"
}

# Sets and exports AXE_CORE, the path of axe-core's script, to what npm puts under target/, unless it names one already.
# Fails where npm is not there or cannot reach its registry. Nothing of it is part of the repository or of the binary.
need_axe() {
  local version=4.14.1 folder
  folder=$PWD/target/axe-core-$version
  [ -z "${AXE_CORE:-}" ] || return 0
  AXE_CORE=$folder/node_modules/axe-core/axe.min.js
  if [ ! -e "$AXE_CORE" ]; then
    command -v npm >/dev/null || { unset AXE_CORE; return 1; }
    mkdir -p "$folder"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" "axe-core@$version" >&2 ||
      { unset AXE_CORE; return 1; }
  fi
  export AXE_CORE
}
