#!/bin/sh
# Puts together the root of the image: of Debian, what Python and a controller's libraries need, and busybox
# for a shell.  system.sh ROOT
# No package manager and no Perl; /var/lib/dpkg/status.d tells scanners of vulnerabilities what is in it.
set -eu
root=$1
packages="base-files base-passwd busybox-static media-types netbase tzdata
  libbz2-1.0 libc6 libcrypt1 libexpat1 libffi8 libgcc-s1 liblzma5 libsqlite3-0 libssl3 libstdc++6 libuuid1 zlib1g
  libpython3.11-minimal libpython3.11-stdlib python3-minimal python3.11-minimal util-linux"

mkdir -p "$root/usr/lib64" "$root/var/lib/dpkg/status.d" "$root/etc/nightscope" "$root/dev" "$root/proc" "$root/sys"
install -d -m 1777 "$root/tmp"
# Debian's own links, through which the packages lay their files.
for folder in bin lib sbin; do
  mkdir -p "$root/usr/$folder"
  ln -s "usr/$folder" "$root/$folder"
done
ln -s usr/lib64 "$root/lib64"

fetched=$(mktemp -d)
cd "$fetched"
# shellcheck disable=SC2086 # a list
apt-get --quiet -o APT::Sandbox::User=root download $packages
for package in *.deb; do
  # Of util-linux the one program that busybox lacks: health.sh asks whether a lock is held.
  case $package in util-linux_*) only=./usr/bin/flock ;; *) only= ;; esac
  # shellcheck disable=SC2086 # one, or none for all
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root" $only
  dpkg-deb --field "$package" >"$root/var/lib/dpkg/status.d/$(dpkg-deb --field "$package" Package)"
done
cd /
rm -rf "$fetched"

# Codecs of iconv (Python has its own), manuals; of Python, its own tests, and what needs libraries that are not here.
rm -rf "$root"/usr/lib/*/gconv "$root"/usr/share/locale "$root"/usr/share/lintian "$root"/usr/share/man
python="$root/usr/lib/python3.11"
rm -rf "$python/pydoc_data" "$python/test" "$root/usr/share/zoneinfo/right"
find "$root/usr/share/doc" -type f -not -name copyright -delete
for part in _ctypes_test _curses _curses_panel _dbm _test nis ossaudiodev readline xxlimited _xxtestfuzz; do
  rm -f "$python"/lib-dynload/"$part"*.so
done

for tool in $("$root/usr/bin/busybox" --list); do
  [ -e "$root/usr/bin/$tool" ] || ln -s busybox "$root/usr/bin/$tool"
done

# Serial ports belong to dialout, cameras to video.
sed 's,/bin/bash,/bin/sh,' "$root/usr/share/base-passwd/passwd.master" >"$root/etc/passwd"
sed 's/^\(dialout\|video\):.*$/&nightscope/' "$root/usr/share/base-passwd/group.master" >"$root/etc/group"
echo 'nightscope:x:10001:10001::/var/lib/nightscope:/bin/sh' >>"$root/etc/passwd"
echo 'nightscope:x:10001:' >>"$root/etc/group"
install -d -o 10001 -g 10001 "$root/var/lib/nightscope"
# Whose word is taken for a mail server's certificate, where Python's `ssl` looks; the list comes with the libraries.
mkdir -p "$root/usr/lib/ssl"
ln -s /opt/nightscope/lib/python3.11/site-packages/certifi/cacert.pem "$root/usr/lib/ssl/cert.pem"
