package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/medlogistics/phasegate/runner/task"
)

// A bucket is a second place in storage that speaks S3's protocol.
type bucket struct {
	client       *minio.Client
	name, prefix string
}

// awsEndpoint is where a bucket is if no other endpoint is named.
const awsEndpoint = "https://s3.amazonaws.com"

// validateCopy fails on a second place that cannot be one.
func (b *Backup) validateCopy() error {
	bucket := strings.HasPrefix(b.CopyTo, "s3://")
	switch {
	case bucket && (b.CopyAccessKey.IsZero() || b.CopySecretKey.IsZero()):
		return task.Hint(errors.New("copy_to is a bucket without copy_access_key and copy_secret_key"), "take both from secret variables of the plan's env")
	case !bucket && b.CopyEndpoint != "":
		return errors.New("copy_endpoint is of use only where copy_to is s3://BUCKET")
	case !bucket:
		return nil
	}
	if name, _ := b.bucketName(); name == "" {
		return task.Hint(fmt.Errorf("copy_to %s names no bucket", b.CopyTo), "write s3://BUCKET/PREFIX")
	}
	endpoint, err := b.endpoint()
	if err != nil {
		return err
	}
	address := net.ParseIP(endpoint.Hostname())
	if endpoint.Scheme == "http" && (address == nil || !address.IsLoopback()) && b.suffix() != sealedSuffix {
		return task.Hint(fmt.Errorf("copy_endpoint %s is not encrypted, and neither is the backup", b.CopyEndpoint), "write https://, or name recipients")
	}
	return nil
}

func (b *Backup) bucketName() (name, prefix string) {
	name, prefix, _ = strings.Cut(strings.TrimPrefix(b.CopyTo, "s3://"), "/")
	return name, strings.Trim(prefix, "/")
}

func (b *Backup) endpoint() (*url.URL, error) {
	text := b.CopyEndpoint
	if text == "" {
		text = awsEndpoint
	}
	endpoint, err := url.Parse(text)
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http" || strings.Trim(endpoint.Path, "/") != "" {
		return nil, task.Hint(fmt.Errorf("copy_endpoint %q is no address", text), "write https://HOST, without a path")
	}
	return endpoint, nil
}

func (b *Backup) bucket() (place, error) {
	endpoint, err := b.endpoint()
	if err != nil {
		return nil, err
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(b.CopyAccessKey.Reveal(), b.CopySecretKey.Reveal(), ""),
		Secure: endpoint.Scheme == "https",
		Region: b.CopyRegion,
	})
	if err != nil {
		return nil, fmt.Errorf("use the storage at %s: %w", endpoint.Host, err)
	}
	name, prefix := b.bucketName()
	return bucket{client, name, prefix}, nil
}

func (b bucket) close() {}

func (b bucket) path(name string) string { return "s3://" + path.Join(b.name, b.prefix, name) }

func (b bucket) open(ctx context.Context, name string) (io.ReadCloser, error) {
	object, err := b.client.GetObject(ctx, b.name, path.Join(b.prefix, name), minio.GetObjectOptions{})
	if err == nil {
		_, err = object.Stat()
	}
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, errors.Join(fs.ErrNotExist, err)
	}
	return object, explain(err)
}

// put writes an object. The storage takes it whole or not at all: parts that a
// killed process has sent are no object, and the bucket's own rules clear them
// away.
func (b bucket) put(ctx context.Context, name string, from *os.File) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	_, err = b.client.PutObject(ctx, b.name, path.Join(b.prefix, name), from, info.Size(),
		minio.PutObjectOptions{ContentType: "application/octet-stream", NumThreads: 2})
	return explain(err)
}

// explain tells what to do about what the storage has said.
func explain(err error) error {
	switch minio.ToErrorResponse(err).Code {
	case minio.NoSuchBucket:
		return task.Hint(err, "make the bucket first, or mend its name in copy_to")
	case minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return task.Hint(err, "give copy_access_key and copy_secret_key of an account that may read and write there")
	}
	return err
}
