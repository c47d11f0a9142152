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
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/medlogistics/phasegate/runner/task"
)

// A bucket is a second place in storage that speaks S3's protocol.
type bucket struct {
	client       *s3.Client
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

// bucket asks only for the checksums that every storage knows, and names the bucket
// in the path where the endpoint is not Amazon's own.
func (b *Backup) bucket() (place, error) {
	options := s3.Options{
		Region:                     b.CopyRegion,
		Credentials:                credentials.NewStaticCredentialsProvider(b.CopyAccessKey.Reveal(), b.CopySecretKey.Reveal(), ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	}
	if b.CopyEndpoint != "" {
		options.BaseEndpoint, options.UsePathStyle = aws.String(b.CopyEndpoint), true
	}
	name, prefix := b.bucketName()
	return bucket{s3.New(options), name, prefix}, nil
}

func (b bucket) close() {}

func (b bucket) path(name string) string { return "s3://" + path.Join(b.name, b.prefix, name) }

func (b bucket) open(ctx context.Context, name string) (io.ReadCloser, error) {
	object, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: b.key(name)})
	if said, ok := errors.AsType[smithy.APIError](err); ok && said.ErrorCode() == "NoSuchKey" {
		return nil, errors.Join(fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, explain(err)
	}
	return object.Body, nil
}

// put writes an object. The storage takes it whole or not at all: parts that a
// killed process has sent are no object, and the bucket's own rules clear them
// away; where it only fails, they are taken back.
func (b bucket) put(ctx context.Context, name string, from *os.File) error {
	upload := transfermanager.New(b.client, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.Concurrency, o.FailTimeout = partSize, 2, 5*time.Second
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	})
	_, err := upload.UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: &b.name, Key: b.key(name), Body: from, ContentType: aws.String("application/octet-stream"),
	})
	return explain(err)
}

func (b bucket) key(name string) *string { return aws.String(path.Join(b.prefix, name)) }

// partSize is in bytes; a storage takes 10,000 parts of an object, and more of a
// very large one are made larger.
const partSize = 16 << 20

// explain tells what to do about what the storage has said.
func explain(err error) error {
	said, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return err
	}
	switch said.ErrorCode() {
	case "NoSuchBucket":
		return task.Hint(err, "make the bucket first, or mend its name in copy_to")
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return task.Hint(err, "give copy_access_key and copy_secret_key of an account that may read and write there")
	}
	return err
}
